story Failures just at the budget of a ring, and one more
device press-01..10 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 1800
deadline_s = 900
budget = { failed = { percent = 20 } }
end

at 0 s
on 2.0.0 press-03 refuses wrong_output in 20 s
on 2.0.0 press-07 reverts crashed in 50 s
alice applies bearing-2
at 10 min
explain rollout
explain press-03
explain press-07
press-09 degrades error_rate
explain rollout
at 15 min
explain rollout
explain press-03
