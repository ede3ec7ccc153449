story Two presses run the version already: going back leaves them as they were
device press-01..04 runs bearing 1.0.0
device spare-01..02 runs bearing 2.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 3600
deadline_s = 900
end

at 0 s
alice applies bearing-2
at 5 min
explain rollout
press-02 reverts crashed
at 6 min
explain rollout
