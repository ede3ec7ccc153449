story A newer rollout goes back: the older one is told who has the say, and does not begin again
device press-01..04 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[limits]
concurrent = 1
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 3600
deadline_s = 900
end
policy bearing-3
model = "bearing"
version = "3.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
alice applies bearing-2
at 90 s
alice pauses: bob has something newer
at 5 min
bob applies bearing-3
at 6 min 30 s
press-04 reverts crashed
at 10 min
explain rollout 1
explain rollout 2
alice resumes 1: then 2.0.0 after all
