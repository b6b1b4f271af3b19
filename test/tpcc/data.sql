INSERT INTO item SELECT i, 'item ' || i, (100 + i * 37 % 9900) / 100.0, CASE WHEN i % 10 = 0 THEN 'ORIGINAL' ELSE 'data' END
  FROM generate_series(1, 100) i;
INSERT INTO warehouse SELECT w, 'w' || w, w / 100.0, 300000 FROM generate_series(1, 6) w;
INSERT INTO district SELECT w, d, 'd' || d, d / 100.0, 30000, 1 FROM generate_series(1, 6) w, generate_series(1, 3) d;
INSERT INTO customer SELECT w, d, c, 'first' || c, 'last' || c % 5, CASE WHEN c % 7 = 0 THEN 'BC' ELSE 'GC' END, c / 100.0, -10, 10, 1, 0, ''
  FROM generate_series(1, 6) w, generate_series(1, 3) d, generate_series(1, 20) c;
INSERT INTO stock SELECT w, i, 10 + (w * i) % 90, 0, 0, 0, 'stock ' || i FROM generate_series(1, 6) w, generate_series(1, 100) i;
