story A newer rollout of the same model takes the say, device by device
device press-01..06 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[limits]
concurrent = 2
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 3600
deadline_s = 900
end
policy bearing-3
model = "bearing"
version = "3.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "half"
reach = { percent = 50 }
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
at 90 s
bob applies bearing-3
explain press-01
at 5 min
explain rollout 1
explain rollout 2
explain press-01
at 30 min
explain rollout 1
