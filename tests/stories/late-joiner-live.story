story A live rollout: who matches later joins the last ring, who no longer matches leaves
device press-01..04 site=hall-4 runs bearing 1.0.0
device lathe-01 site=hall-5 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "live"
on_halt = "rollback"
selector = "site=hall-4"
[[rings]]
name = "canary"
reach = { count = 1 }
soak_s = 600
deadline_s = 900
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
alice applies bearing-2
at 5 min
join press-05 site=hall-4 runs bearing 1.0.0
explain press-05
label lathe-01 site=hall-4
explain lathe-01
at 6 min
label all#1,canary#1 site=hall-9
explain press-01
at 30 min
explain rollout
join press-06 site=hall-4 runs bearing 1.0.0
explain press-06
