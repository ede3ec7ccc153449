story The bad model that installs perfectly: it fails in the field, and goes back without a human
device press-01..60 site=hall-4 runs bearing 1.0.0
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
gates = [{ gate = "error_rate", margin = 0.01 }]
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
on 1.0.0 all answers 1000, 1 % errors
on 2.0.0 all answers 1000, 3 % errors
alice applies bearing-2
at 4 min
explain rollout
at 15 min
explain rollout
explain canary#1
explain all#1
alice resumes: it must have been the network
