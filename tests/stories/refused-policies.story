story Policies that reach nobody, or too few, are refused when they are applied
device press-01..04 site=hall-4 runs bearing 1.0.0
policy nobody
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
selector = "site=hall-9"
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end
policy too-few
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "canary"
reach = { count = 2 }
soak_s = 600
deadline_s = 900
min_devices = 3
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end
policy empty-ring
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "spares"
reach = { selector = "spare=yes" }
soak_s = 600
deadline_s = 900
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end
policy no-such-gate
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
gates = [{ gate = "error-rate", margin = 0.01 }]
end

at 0 s
alice applies nobody
alice applies too-few
alice applies empty-ring
alice applies no-such-gate
