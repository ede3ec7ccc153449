story A degraded device is still in change: its site waits for the mechanic
device press-01..03 site=hall-4 runs bearing 1.0.0
device press-11..13 site=hall-5 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "hold"
[[constraints]]
label = "site"
at_most = { count = 1 }
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
budget = { failed = { count = 1 } }
end

at 0 s
alice applies bearing-2
on 2.0.0 all#1 degrades error_rate
at 10 min
explain rollout
at 20 min
all#1 commits
at 40 min
explain rollout
