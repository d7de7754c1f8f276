"""Names of options that others read from the same file.

A nova.conf may serve nova and flatnet alike, as it did nova-network, so what
nova and its libraries had in [DEFAULT], from Essex to Train, is passed over.
Any other name is a mistake.
"""

import re


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# oslo.config, oslo.log, oslo.messaging and oslo.service, old names included.
OSLO = _words(
    """
    config_dir config_file config_source

    debug default_log_levels fatal_deprecations instance_format
    instance_uuid_format log_color log_config log_config_append log_date_format
    log_dir log_file log_format log_options log_rotate_interval
    log_rotate_interval_type log_rotation_type logdir logfile logfile_mode
    logging_context_format_string logging_debug_format_suffix
    logging_default_format_string logging_exception_prefix
    logging_user_identity_format max_logfile_count max_logfile_size_mb
    publish_errors rate_limit_burst rate_limit_except_level rate_limit_interval
    syslog_log_facility use_eventlog use_journal use_json use_stderr use_syslog
    use_syslog_rfc_format verbose watch_log_file

    allowed_rpc_exception_modules amqp_auto_delete amqp_durable_queues
    conn_pool_min_size conn_pool_ttl control_exchange
    default_notification_level default_publisher_id executor_thread_pool_size
    fake_rabbit kombu_reconnect_delay kombu_ssl_ca_certs kombu_ssl_certfile
    kombu_ssl_keyfile kombu_ssl_version list_notifier_drivers
    notification_driver notification_topics notification_transport_url
    rpc_backend rpc_cast_timeout rpc_conn_pool_size rpc_message_ttl
    rpc_ping_enabled rpc_poll_timeout rpc_response_timeout rpc_thread_pool_size
    transport_url

    api_paste_config backdoor_port backdoor_socket client_socket_timeout
    graceful_shutdown_timeout max_header_line run_external_periodic_tasks
    tcp_keepidle wsgi_default_pool_size wsgi_keep_alive wsgi_log_format
    wsgi_server_debug

    disable_process_locking lock_path
    """
)
_NOVA = _words(
    """
    auto_assign_floating_ip cnt_vpn_clients default_floating_pool
    defer_iptables_apply dhcpbridge dhcpbridge_flagfile
    dns_update_periodic_interval ebtables_exec_attempts ebtables_retry_interval
    fake_call fake_network firewall_driver
    fixed_range fixed_range_v6 flat_network_dns floating_ip_dns_manager
    floating_range gateway gateway_v6 injected_network_template
    instance_dns_domain instance_dns_manager iptables_drop_action ipv6_backend
    l3_lib linuxnet_interface_driver linuxnet_ovs_integration_bridge
    network_allocate_retries network_api_class network_device_mtu
    network_driver network_host network_size network_topic num_networks
    ovs_vsctl_timeout secure_proxy_ssl_header security_group_api
    security_group_handler share_dhcp_address teardown_unused_network_gateway
    update_dns_entries use_neutron use_neutron_default_nets
    use_rootwrap_daemon use_single_default_gateway vlan_interface vlan_start
    vpn_ip vpn_start

    bindir db_backend db_driver fake_tests memcached_servers monkey_patch
    monkey_patch_modules policy_default_rule policy_dirs policy_file pybasedir
    record remote_debug_host remote_debug_port root_helper rootwrap_config
    sqlite_clean_db sqlite_db sqlite_synchronous tempdir

    ca_file ca_path cert cert_manager cert_topic crl_file key_file keys_path
    project_cert_subject ssl_ca_file ssl_cert_file ssl_key_file use_project_ca
    user_cert_subject

    allow_instance_snapshots api_rate_limit auth_strategy aws_access_key_id
    aws_secret_access_key enable_instance_password enabled_apis
    enabled_ssl_apis fping_path keystone_ec2_insecure keystone_ec2_url
    lockout_attempts lockout_minutes lockout_window
    non_inheritable_image_properties region_list use_forwarded_for

    enable_new_services metadata_cache_expiration metadata_listen
    metadata_listen_port metadata_manager metadata_workers
    multi_instance_display_name_template periodic_enable periodic_fuzzy_delay
    periodic_interval report_interval service_down_time servicegroup_driver

    allow_migrate_to_same_host allow_resize_to_same_host api_url auth_blob
    bandwidth_poll_interval bandwidth_update_interval base_dir_name
    block_device_allocate_retries block_device_allocate_retries_interval
    block_device_creation_timeout block_migration_flag boot_script_template
    buckets_path cache_images checksum_base_images checksum_interval_seconds
    claim_timeout_seconds compute_fill_first_cost_fn_weight
    cpu_allocation_ratio daemon default_access_ip_network_name
    default_availability_zone default_ephemeral_format default_flavor
    default_image default_instance_type default_os_type default_schedule_zone
    disk_allocation_ratio dmz_mask dmz_net force_config_drive force_raw_images
    heal_instance_info_cache_interval host_state_interval
    image_cache_manager_interval image_cache_subdirectory_name
    image_decryption_dir image_info_filename_pattern img_handlers
    initial_cpu_allocation_ratio initial_disk_allocation_ratio
    initial_ram_allocation_ratio instance_build_timeout
    instance_delete_interval instance_name_template instance_usage_audit
    instance_usage_audit_period instances_path
    internal_service_availability_zone iqn_prefix isolated_hosts
    isolated_images key least_cost_functions limit_cpu_features
    live_migration_bandwidth live_migration_flag live_migration_retry_count
    live_migration_uri mandatory_driver_attributes matchmaker_ringfile max_age
    max_concurrent_builds max_concurrent_live_migrations
    max_concurrent_snapshots max_gigabytes max_instances_per_host
    max_io_ops_per_host max_kernel_ramdisk_size max_local_block_devices
    max_nbd_devices maximum_instance_delete_attempts migrate_max_retries
    mkisofs_cmd my_block_storage_ip node_availability_zone noop_cost_fn_weight
    notify_api_faults notify_on_any_change notify_on_state_change null_kernel
    num_iscsi_scan_tries num_shell_tries password_length pci_alias
    pci_passthrough_whitelist pointer_model port preallocate_images
    ram_allocation_ratio ram_weight_multiplier reboot_timeout
    reclaim_instance_interval remove_unused_base_images remove_unused_kernels
    remove_unused_original_minimum_age_seconds
    remove_unused_resized_minimum_age_seconds rescue_image_id rescue_kernel_id
    rescue_ramdisk_id rescue_timeout reservation_expire reserved_host_cpus
    reserved_host_disk_mb reserved_host_memory_mb reserved_huge_pages
    resize_confirm_window resize_fs_using_block_device
    restrict_isolated_hosts_to_isolated_images resume_guests_state_on_host_boot
    running_deleted_instance_action running_deleted_instance_poll_interval
    running_deleted_instance_timeout server server_ca_file shelved_offload_time
    shelved_poll_interval shutdown_retry_interval shutdown_timeout
    snapshot_image_format snapshot_name_template snapshot_same_host
    source_is_ipv6 source_listen sr_matching_filter start_guests_on_host_boot
    storage_availability_zone stub_compute sync_power_state_interval
    sync_power_state_pool_size synchronous_snapshot_create target_host
    target_port tile_monitor timeout_nbd until_refresh
    update_resources_interval use_cow_images use_hypervisor_stats
    use_join_force use_local_volumes use_usb_tablet vcpu_pin_set
    vif_plugging_is_fatal vif_plugging_timeout virt_mkfs volume_group
    volume_tmp_dir volumes_dir vpn_flavor vpn_image_id vpn_instance_type
    vpn_key_suffix vswitch_name web xvpvncproxy_base_url xvpvncproxy_host
    xvpvncproxy_port zombie_instance_updated_at_window
    """
)
# Families of nova's whose members differ from release to release.
_NOVA_FAMILIES = re.compile(
    r"(agent|baremetal|bandwidth|cells|cinder|compute|conductor|config_drive"
    r"|console|consoleauth|ec2|glance|hyperv|instances_path|iscsi|ldap_dns"
    r"|libvirt|matchmaker|netapp|neutron|nexenta|nfs|novncproxy|osapi|powervm"
    r"|qpid|quantum|quota|rabbit|rbd|rdp|rpc_zmq|s3|san|scheduler|sf|spice"
    r"|spicehtml5proxy|sql|storwize_svc|vmware|vmwareapi|vnc|vncserver"
    r"|volume|workarounds|xenapi|xvpvncproxy|zookeeper)_\w+"
)
# oslo.db's, in [database].
DATABASE = _words(
    """
    asyncio_connection asyncio_slave_connection backend connection_debug
    connection_parameters connection_recycle_time connection_trace
    db_inc_retry_interval db_max_retries db_max_retry_interval
    db_retry_interval idle_timeout max_overflow max_pool_size max_retries
    min_pool_size mysql_enable_ndb mysql_sql_mode mysql_wsrep_sync_wait
    pool_timeout retry_interval slave_connection sqlite_db sqlite_synchronous
    synchronous_reader use_db_reconnect use_tpool
    """
)
# Sections of nova and of its libraries; those that nobody knows may be a
# driver's, and are judged by what is in them.
SECTIONS = _words(
    """
    api api_database barbican cache cells cinder compute conductor console
    consoleauth cors cyborg devices ephemeral_storage_encryption
    filter_scheduler glance guestfs healthcheck hyperv image_cache ironic
    key_manager keystone keystone_authtoken libvirt matchmaker_redis metrics
    mks neutron notifications osapi_v21 oslo_concurrency oslo_limit
    oslo_messaging_amqp oslo_messaging_kafka oslo_messaging_notifications
    oslo_messaging_rabbit oslo_messaging_zmq oslo_middleware
    oslo_middleware_tracing oslo_policy oslo_reports pci placement
    placement_database powervm privsep profiler quota rdp remote_debug
    sample_remote_file_source scheduler serial_console service_user spice ssl
    trusted_computing upgrade_levels vault vendordata_dynamic_auth vmware vnc
    workarounds wsgi xenserver xvp zvm
    """
)


def is_known(name: str) -> bool:
    """Whether oslo or nova has an option of that name in [DEFAULT]."""
    name = name.replace("-", "_")
    return (
        name in OSLO
        or name in _NOVA
        or _NOVA_FAMILIES.fullmatch(name) is not None
    )
