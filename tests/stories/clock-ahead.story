story The clock of the controller jumps ahead: deadlines pass at once, and nothing is lost by it
device press-01..06 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
on 2.0.0 all commits in 5 min
alice applies bearing-2
at 1 min
clock ahead 2 h
explain rollout
explain press-01
at 2 min
clock back 2 h
explain press-01
alice resumes: the clock is right again
at 20 min
explain rollout
