story 5 % of the devices are bricked: the ring halts at the deadline and says which
device press-001..100 site=hall-4 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[[rings]]
name = "canary"
reach = { percent = 10 }
soak_s = 600
deadline_s = 900
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 1200
budget = { silent = { percent = 3 } }
end

at 0 s
alice applies bearing-2
at 11 min
on 2.0.0 all#7,all#21,all#40,all#66,all#89 hangs
at 20 min
explain rollout
at 40 min
explain rollout
explain all#7
explain all#8
alice resumes: perhaps they have come back
at 1 h
alice promotes: five presses are with the mechanic
explain rollout
