story Halted for silence; then devices sign for a failure, and it rolls back by itself
device press-01..06 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "canary"
reach = { count = 3 }
soak_s = 600
deadline_s = 600
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
alice applies bearing-2
on 2.0.0 canary#1 hangs
at 12 min
explain rollout
at 20 min
canary#2 reverts crashed
at 22 min
explain rollout
explain canary#1
