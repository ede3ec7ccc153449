story Nobody asks the new version anything: no data hold, for as long as it takes
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
min_inferences = 1000
gates = [{ gate = "error_rate", margin = 0.01 }]
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
alice applies bearing-2
at 20 min
explain rollout
at 2 d
explain rollout
# Enough for the count, and all from one device.
canary#1 counted 1000
explain rollout
at 2 d 1 h
alice promotes: the line stands still all week
at 2 d 2 h
explain rollout
