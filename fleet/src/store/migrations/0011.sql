-- What gates estimate of the AUC: the scores of a device, by bin. None of what was counted before, and of
-- models that are no classifiers of two classes.

ALTER TABLE ring_counts ADD COLUMN scores BLOB;
