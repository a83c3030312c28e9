-- Records of those key rows, where there are no chunks to drop. One that was stored meanwhile has its key, and stays.
DELETE FROM benchmark_data.points AS point
WHERE
    timestamp < %(before)s
    AND NOT EXISTS (SELECT FROM benchmark_data.point_keys AS key WHERE key.id = point.id);
