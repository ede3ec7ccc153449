story A model that devices never had: going back takes it off
device press-01..04 runs bearing 1.0.0
policy gear-1
model = "gear"
version = "1.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 3600
deadline_s = 900
end

at 0 s
alice applies gear-1
at 5 min
explain rollout
press-03 reverts crashed
at 6 min
explain rollout
