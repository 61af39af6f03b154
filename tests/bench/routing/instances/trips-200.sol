Cost: 33682
