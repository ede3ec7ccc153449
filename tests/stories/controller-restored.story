story The controller is lost and restored: devices are held until they have shown what they run
device press-01..06 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "canary"
reach = { count = 2 }
soak_s = 3600
deadline_s = 900
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
alice applies bearing-2
at 10 min
controller backed-up
at 20 min
all#1 dies
at 30 min
controller restored
explain rollout
explain canary#1
explain all#1
explain all#2
at 1 h 10 min
explain rollout
explain all#1
at 2 h
all#1 returns
at 2 h 20 min
explain rollout
