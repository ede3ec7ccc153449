story Each device is told in its own night
begins fri 12:00
device berlin-01..02 tz=east-0100 runs bearing 1.0.0
device osaka-01..02 tz=east-0900 runs bearing 1.0.0
device dallas-01..02 tz=west-0600 runs bearing 1.0.0
device lost-01 runs bearing 1.0.0
policy bearing-2
model = "bearing"
version = "2.0.0"
membership = "frozen"
on_halt = "rollback"
[maintenance]
offset_label = "tz"
windows = [{ days = ["fri", "sat"], from = "22:00", to = "04:00" }]
[[rings]]
name = "all"
reach = { percent = 100 }
soak_s = 600
deadline_s = 1800
end

at 0 s
alice applies bearing-2
explain berlin-01
explain osaka-01
explain dallas-01
explain lost-01
at sat 12:00
explain rollout
label lost-01 tz=east-0000
explain lost-01
at sun 02:00
explain rollout
