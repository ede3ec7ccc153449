story One was heard of and fell silent, one was never heard of: two budgets
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
deadline_s = 600
budget = { silent = { count = 1 }, unreachable = { count = 0 } }
end

at 0 s
press-05 dies
on 2.0.0 press-02 hangs
alice applies bearing-2
at 5 min
explain press-02
explain press-05
at 10 min 30 s
explain rollout
explain press-02
explain press-05
