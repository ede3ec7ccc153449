story A device leaves the fleet on its way: it counts in no budget
device press-01..05 runs bearing 1.0.0
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
end

at 0 s
on 2.0.0 press-03 hangs
alice applies bearing-2
at 5 min
explain rollout
press-03 leaves
explain rollout
explain press-03
at 20 min
explain rollout
