story A pause over night: devices on their way end, nobody new is told, and the ring soaks anew
begins mon 17:30
device press-01..06 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "canary"
reach = { count = 2 }
soak_s = 1800
deadline_s = 900
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
on 2.0.0 all commits in 2 min
alice applies bearing-2
at 1 min
alice pauses: nobody is there at night
explain canary#1
explain all#1
at 10 min
explain rollout
at tue 07:00
alice resumes: good morning
at tue 07:20
explain rollout
at tue 08:30
explain rollout
