"""Learning from the datasets: training, serving and scoring the model that the user will own."""
