story A canary that counts in windows of ten seconds stops a bad model within the minute
windows every 10 s
device press-01..30 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "canary"
reach = { count = 10 }
soak_s = 600
deadline_s = 900
window_s = 10
gates = [{ gate = "error_rate", margin = 0.01 }]
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
on 1.0.0 all answers 200, 1 % errors
on 2.0.0 all answers 200, 10 % errors
alice applies bearing-2
at 3 min
explain rollout
