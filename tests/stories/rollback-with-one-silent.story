story A rollback with one device silent ends without it, and it goes back when it is heard of
device press-01..06 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "canary"
reach = { count = 3 }
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
at 5 min
canary#1 dies
at 6 min
alice rolls-back: the customer has called
at 7 min
explain rollout
explain canary#1
bob pauses: wait
at 30 min
explain rollout
explain canary#1
at 1 h
canary#1 returns
at 1 h 5 min
alice rolls-back: to be sure
