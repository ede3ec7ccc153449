story The broker swallows receipts: silence halts, and never rolls back
device press-01..06 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "canary"
reach = { count = 3 }
soak_s = 600
deadline_s = 600
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
alice applies bearing-2
at 30 s
broker swallows canary
at 12 min
explain rollout
explain canary#1
at 1 h
broker delivers canary
at 1 h 1 min
explain canary#1
explain rollout
alice resumes: the broker had a full disk
at 1 h 30 min
explain rollout
