story A metered link is never used: the device waits for another
device press-01..04 runs bearing 1.0.0
device truck-01..02 link=metered runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "canary"
reach = { count = 3 }
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
explain rollout
explain truck-01
at 1 h
explain rollout
explain truck-01
at 2 h
label truck-01 link=wired
at 3 h
explain rollout
label truck-02 link=wired
at 4 h
explain rollout
