story The spare presses first, then a tenth of each hall, then half; the others are not reached
device spare-01..02 site=hall-4 spare=yes runs bearing 1.0.0
device press-01..10 site=hall-4 runs bearing 1.0.0
device press-11..20 site=hall-5 runs bearing 1.0.0
policy bearing-2
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
name = "tenth"
reach = { percent = 10 }
soak_s = 600
deadline_s = 900
[[rings]]
name = "half"
reach = { percent = 50 }
soak_s = 600
deadline_s = 900
end

at 0 s
alice applies bearing-2
at 5 min
explain press-02
at 45 min
explain rollout
join press-21 site=hall-5 runs bearing 1.0.0
explain press-21
