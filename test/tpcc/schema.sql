CREATE TABLE warehouse (w_id int PRIMARY KEY, w_name text NOT NULL, w_tax numeric(4, 4) NOT NULL, w_ytd numeric(12, 2) NOT NULL);
CREATE TABLE district (
  d_w_id int REFERENCES warehouse, d_id int, d_name text NOT NULL, d_tax numeric(4, 4) NOT NULL, d_ytd numeric(12, 2) NOT NULL,
  d_next_o_id int NOT NULL, PRIMARY KEY (d_w_id, d_id));
CREATE TABLE customer (
  c_w_id int, c_d_id int, c_id int, c_first text NOT NULL, c_last text NOT NULL, c_credit char(2) NOT NULL,
  c_discount numeric(4, 4) NOT NULL, c_balance numeric(12, 2) NOT NULL, c_ytd_payment numeric(12, 2) NOT NULL,
  c_payment_cnt int NOT NULL, c_delivery_cnt int NOT NULL, c_data text NOT NULL,
  PRIMARY KEY (c_w_id, c_d_id, c_id), FOREIGN KEY (c_w_id, c_d_id) REFERENCES district);
CREATE INDEX customer_last ON customer (c_w_id, c_d_id, c_last, c_first);
CREATE TABLE history (
  h_c_id int, h_c_d_id int, h_c_w_id int, h_d_id int, h_w_id int, h_amount numeric(6, 2), h_data text,
  FOREIGN KEY (h_w_id, h_d_id) REFERENCES district);
CREATE TABLE item (i_id int PRIMARY KEY, i_name text NOT NULL, i_price numeric(5, 2) NOT NULL, i_data text NOT NULL);
CREATE TABLE stock (
  s_w_id int REFERENCES warehouse, s_i_id int REFERENCES item, s_quantity int NOT NULL, s_ytd numeric(8, 2) NOT NULL,
  s_order_cnt int NOT NULL, s_remote_cnt int NOT NULL, s_data text NOT NULL, PRIMARY KEY (s_w_id, s_i_id));
CREATE TABLE orders (
  o_w_id int, o_d_id int, o_id int, o_c_id int NOT NULL, o_carrier_id int, o_ol_cnt int NOT NULL, o_all_local int NOT NULL,
  PRIMARY KEY (o_w_id, o_d_id, o_id), FOREIGN KEY (o_w_id, o_d_id, o_c_id) REFERENCES customer);
CREATE TABLE new_order (
  no_w_id int, no_d_id int, no_o_id int, PRIMARY KEY (no_w_id, no_d_id, no_o_id),
  FOREIGN KEY (no_w_id, no_d_id, no_o_id) REFERENCES orders);
CREATE TABLE order_line (
  ol_w_id int, ol_d_id int, ol_o_id int, ol_number int, ol_i_id int NOT NULL, ol_supply_w_id int NOT NULL, ol_delivered boolean NOT NULL,
  ol_quantity int NOT NULL, ol_amount numeric(6, 2) NOT NULL,
  PRIMARY KEY (ol_w_id, ol_d_id, ol_o_id, ol_number), FOREIGN KEY (ol_w_id, ol_d_id, ol_o_id) REFERENCES orders);
