story A good version reaches everybody
device press-01..20 site=hall-4 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "canary"
reach = { count = 4 }
soak_s = 1800
deadline_s = 900
min_devices = 4
gates = [{ gate = "error_rate", margin = 0.02 }]
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
on 1.0.0 all answers 1000, 1 % errors
on 2.0.0 all answers 1000, 1 % errors
alice applies bearing-2
at 30 s
explain rollout
explain canary#1
explain all#1
at 10 min
explain rollout
at 34 min
explain all#1
at 1 h
explain rollout
