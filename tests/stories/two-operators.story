story Two operators at once: what one has done, the other is told
device press-01..06 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
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

at 0 s
alice applies bearing-2
at 1 min 30 s
alice pauses: the line is being measured
bob pauses: I want to look at it, too
bob promotes: we are late
explain all#1
at 20 min
bob resumes: the measurement is over
at 29 min
bob approves: it looks good
at 31 min
alice approves: the canary is well
bob approves: the canary is well
explain rollout
at 40 min
bob aborts: wrong version
alice resumes: it was the right one
