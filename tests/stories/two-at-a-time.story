story No more than two devices on their way; one that hangs takes a place up to its deadline
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
soak_s = 600
deadline_s = 600
budget = { silent = { count = 1 } }
end

at 0 s
on 2.0.0 press-01,press-02 hangs
on 2.0.0 press-02 commits in 30 s
alice applies bearing-2
explain all#6
at 5 min
explain rollout
at 30 min
explain rollout
