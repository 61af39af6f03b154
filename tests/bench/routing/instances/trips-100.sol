Cost: 16510
