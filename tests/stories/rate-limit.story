story No more than three devices in any hour
device press-01..07 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[limits]
dispatches_per_hour = 3
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
alice applies bearing-2
explain all#4
at 30 min
explain all#4
explain all#7
at 1 h 10 min
explain rollout
at 2 h 30 min
explain rollout
