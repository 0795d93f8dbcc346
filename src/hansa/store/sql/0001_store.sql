create schema if not exists store;
