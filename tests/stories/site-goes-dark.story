story A site goes dark in the last ring, and comes back after the deadline
device press-01..08 site=hall-4 runs bearing 1.0.0
device press-11..18 site=hall-5 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "canary"
reach = { count = 2 }
soak_s = 600
deadline_s = 900
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 1800
budget = { unreachable = { percent = 20 }, silent = { percent = 20 } }
end

at 0 s
alice applies bearing-2
at 5 min
site=hall-5 dies
at 12 min
explain rollout
explain press-12
at 45 min
explain rollout
explain press-12
at 2 h
site=hall-5 returns
at 2 h 5 min
explain rollout
alice resumes: the power is back in hall 5
at 2 h 20 min
explain rollout
