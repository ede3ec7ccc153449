story The new version sees faults where nobody saw any
# Classes: fine, worn, broken.
device press-01..60 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "hold"
[[rings]]
name = "canary"
reach = { count = 20 }
soak_s = 3600
deadline_s = 900
gates = [{ gate = "prediction_mix", margin = 0.05 }]
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
on 1.0.0 all answers 1000, classes 80/15/5
on 2.0.0 all answers 1000, classes 65/20/15
alice applies bearing-2
at 10 min
explain rollout
explain canary#1
alice rolls-back: nobody has changed the line
at 20 min
explain rollout
