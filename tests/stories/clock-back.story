story The clock of the controller goes back in the soak: the soak takes longer, never shorter
device press-01..06 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[limits]
dispatches_per_hour = 4
[[rings]]
name = "canary"
reach = { count = 2 }
soak_s = 600
deadline_s = 900
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
alice applies bearing-2
at 6 min
clock back 1 h
explain rollout
at 1 h
explain rollout
at 1 h 15 min
explain rollout
explain all#3
at 3 h
explain rollout
