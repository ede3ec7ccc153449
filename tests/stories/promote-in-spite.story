story Promoted in spite of a failure: the canary halts nothing any more, the next ring does
device press-01..10 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "hold"
[[rings]]
name = "canary"
reach = { count = 3 }
soak_s = 3600
deadline_s = 900
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 600
budget = { failed = { count = 1 } }
end

at 0 s
alice applies bearing-2
at 2 min
canary#1 reverts crashed
explain rollout
bob promotes: that press has a loose cable
at 5 min
canary#2 reverts crashed
explain rollout
all#1 reverts crashed
at 6 min
all#2 reverts crashed
explain rollout
