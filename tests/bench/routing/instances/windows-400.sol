Cost: 3538.4
