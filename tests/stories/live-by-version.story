story Whoever runs an older version is a member, and stays one once it was told
device press-01..04 runs bearing 1.0.0
device press-05 runs bearing 2.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "live"
on_halt = "rollback"
selector = "model.bearing<2.0.0"
[[rings]]
name = "canary"
reach = { count = 1 }
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
at 5 min
explain rollout
explain press-05
join press-06 runs bearing 1.9.0
join press-07 runs bearing 2.0.0-rc.1
explain press-07
at 30 min
explain rollout
