story The plan waits for approval, and nothing moves before
device press-01..06 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
approval = "manual"
[[rings]]
name = "canary"
reach = { count = 2 }
soak_s = 600
deadline_s = 900
approval = "manual"
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end
policy bearing-3
model = "bearing"
version = "3.0.0"
membership = "frozen"
on_halt = "rollback"
approval = "manual"
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
alice applies bearing-2
at 1 h
explain rollout
explain press-01
bob pauses: not today
bob approves: go ahead
at 1 h 20 min
explain rollout
explain all#1
at 3 h
bob approves: the night shift agrees
at 4 h
alice applies bearing-3
bob aborts: we have only just changed
