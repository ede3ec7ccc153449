story A rollout of another model waits: one risky change on a device at a time
device press-01..06 runs bearing 1.0.0 runs gear 1.0.0
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
budget = { silent = { count = 1 } }
end
policy gear-5
model = "gear"
version = "5.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
on 2.0.0 press-04 hangs
alice applies bearing-2
at 30 s
bob applies gear-5
explain press-01
at 3 min
explain rollout 2
explain press-04
at 40 min
explain rollout 1
explain rollout 2
explain press-04
