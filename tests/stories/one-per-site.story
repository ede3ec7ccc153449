story At most one press of a site in change, over all rollouts
device press-01..03 site=hall-4 runs bearing 1.0.0
device press-11..13 site=hall-5 runs bearing 1.0.0
device lathe-01 site=hall-4 runs gear 1.0.0
policy gear-5
model = "gear"
version = "5.0.0"
membership = "frozen"
on_halt = "rollback"
selector = "model.gear"
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
selector = "model.bearing"
[[constraints]]
label = "site"
at_most = { count = 1 }
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
budget = { silent = { count = 1 } }
end

at 0 s
on 5.0.0 lathe-01 commits in 3 min
bob applies gear-5
at 30 s
on 2.0.0 press-12 hangs
alice applies bearing-2
explain press-01
at 3 min
explain rollout
at 10 min
explain press-13
explain press-03
at 30 min
explain rollout
explain press-13
on 2.0.0 press-12 commits
press-12 returns
at 40 min
explain rollout
