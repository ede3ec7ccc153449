story A rollback after a restore: devices that are held go back when they have said hello
device press-01..04 runs bearing 1.0.0
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
at 10 min
controller backed-up
press-03 dies
at 20 min
controller restored
alice rolls-back: the customer has called
explain rollout
explain press-03
at 21 min
explain rollout
at 40 min
explain rollout
press-03 returns
at 45 min
