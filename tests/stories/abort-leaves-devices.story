story An abort leaves devices as they are, also those on their way
device press-01..06 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[limits]
concurrent = 2
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end
policy back-to-1
model = "bearing"
version = "1.0.0"
membership = "frozen"
on_halt = "rollback"
selector = "model.bearing=2.0.0"
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 900
end

at 0 s
alice applies bearing-2
at 90 s
alice aborts: wrong file
explain rollout
explain press-01
at 5 min
alice aborts: to be sure
bob retries: I would like it
bob applies back-to-1
at 30 min
explain rollout
