-- The floor of a device's generations counts in the epoch in which it was raised: a later director
-- begins anew, also where a stolen one has used the numbers up. 0: it counts in every epoch.
ALTER TABLE devices ADD COLUMN generation_floor_epoch INTEGER NOT NULL DEFAULT 0;
