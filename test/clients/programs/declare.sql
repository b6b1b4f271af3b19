SELECT create_reference_table('region');
SELECT create_distributed_table('account', 'tenant_id');
