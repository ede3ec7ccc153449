story A fix comes while the bad version has halted: it waits where that is still at it
device press-01..05 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "hold"
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 600
end
policy bearing-2-1
model = "bearing"
version = "2.0.1"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 600
end

at 0 s
on 2.0.0 press-02 refuses wrong_output
on 2.0.0 press-04 hangs
alice applies bearing-2
at 5 min
explain rollout
alice applies bearing-2-1
at 12 min
explain rollout 1
explain rollout 2
explain press-04
alice aborts 1: 2.0.1 takes its place
at 40 min
explain rollout 2
