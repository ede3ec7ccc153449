story A fix that is bad as well goes back: each device to what it last ran well, and not to what it refused
device press-01..04 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "hold"
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 600
end
policy bearing-2-1
model = "bearing"
version = "2.0.1"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 600
end

at 0 s
on 2.0.0 press-02 refuses wrong_output
alice applies bearing-2
at 5 min
alice applies bearing-2-1
at 7 min
press-03 reverts crashed
at 30 min
explain rollout 2
