story The new version answers rightly, but late
device press-01..60 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "canary"
reach = { count = 20 }
soak_s = 3600
deadline_s = 900
gates = [{ gate = "error_rate", margin = 0.01 }, { gate = "latency_misses", margin = 0.02 }]
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
on 1.0.0 all answers 1000, 1 % errors, 2 % late
on 2.0.0 all answers 1000, 1 % errors, 6 % late
alice applies bearing-2
at 10 min
explain rollout
