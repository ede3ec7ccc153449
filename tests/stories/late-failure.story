story A device of a ring that has passed degrades later: it still counts
device press-01..10 runs bearing 1.0.0
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
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 3600
deadline_s = 900
budget = { failed = { percent = 20 } }
end

at 0 s
alice applies bearing-2
at 20 min
explain rollout
canary#2 degrades not_a_number
at 22 min
explain rollout
