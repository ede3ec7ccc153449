story Failed devices are told again, once
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

at 0 s
on 2.0.0 press-02 refuses disk in 10 s
on 2.0.0 press-03 hangs
alice applies bearing-2
alice retries: just in case
at 5 min
explain rollout
explain press-02
on 2.0.0 press-02 commits
alice retries: its disk is clean now
explain press-02
at 12 min
explain rollout
on 2.0.0 press-03 refuses memory in 10 s
alice retries: press-03 was started anew
at 15 min
explain press-03
alice retries: once more
alice promotes: press-03 is to be replaced
explain rollout
explain press-03
